from small_bert import batch, make_bert  # noqa: F401 - fixtures
