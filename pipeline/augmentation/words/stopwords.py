"""Words that are never replaced: function words, and whatever negates, by language.

As in the paper's released code, whose list is ``STOP_WORDS``, an English sentence keeps ``not``, ``no`` and
``very``, and with them most of its label. It lacks ``never`` and its like, which turn a label round as well:
they are in ``NEGATIONS``, and come as little as they go (``really good`` does not become ``not good``). The
pieces that punctuation splitting leaves of contractions (``don``, ``t``, ``ll``) are stop-words; those of a
treebank's (``does n't`` leaves ``n``) stay because a negation is looked for in the text, before it is split.
"""

import re
from collections.abc import Mapping

from pipeline.config.words import Language

STOP_WORDS = frozenset(
    """
    a about above after again against ain all am an and any are aren as at
    be because been before being below between both but by
    can couldn d did didn do does doesn doing don down during each
    few for from further had hadn has hasn have haven having he her here hers herself him himself his how
    i if in into is isn it its itself just ll m ma me mightn more most mustn my myself
    needn no nor not now o of off on once only or other our ours ourselves out over own
    re s same shan she should shouldn so some such
    t than that the their theirs them themselves then there these they this those through to too
    under until up ve very
    was wasn we were weren what when where which while who whom why will with won wouldn
    y you your yours yourself yourselves
    """.split()  # noqa: SIM905 - a paragraph reads better than a list
)

_CHINESE = frozenset(
    """
    的 了 着 过 地 得 是 在 有 和 与 及 或 而 但 但是 因为 所以 如果 虽然
    也 都 就 还 又 再 才 只 很 太 更 最 非常
    我 你 您 他 她 它 我们 你们 他们 她们 它们 自己 这 那 这个 那个 这些 那些 这里 那里 什么 怎么 哪 谁 几 多少
    一 个 把 被 给 对 从 到 向 为 以 于 由 让 比 跟 等 吗 呢 吧 啊 呀 哦 嘛 之 其 此 该 上 下 里 中
    個 過 與 為 這 還 對 從 給 讓 嗎 裡 們
    """.split()  # noqa: SIM905
)

BY_LANGUAGE: Mapping[Language, frozenset[str]] = {"english": STOP_WORDS, "chinese": _CHINESE, "other": frozenset()}

NEGATIONS: Mapping[Language, re.Pattern[str] | None] = {
    "english": re.compile(
        r"(?<!\w)(?:no|not|nor|never|none|nobody|nothing|nowhere|neither|without|cannot"
        r"|hardly|scarcely|barely|seldom|rarely|\w*n['\u2019]t)(?!['\u2019]?\w)",
        re.IGNORECASE,
    ),
    "chinese": re.compile(  # also within a word: 不错 is not bad, 不好 is not good
        "[不没沒无無未勿莫毋]|[并並绝絕决決]非|(?<![特区個个差分类類性告级級])[别別](?![的墅人处處])"
    ),
    "other": None,
}
