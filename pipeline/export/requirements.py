"""What exporting and answering need installed beside the project, refused in one line where it is missing."""

from importlib.util import find_spec

from pipeline.errors import ConfigError

TO_EXPORT = ("onnx", "onnx_ir", "onnxscript", "onnxruntime")
TO_ANSWER = ("onnxruntime",)
TO_SERVE = ("prometheus_client",)
INSTALL = "pip install 'tinybert-pipeline[export]'"


def require(*packages: str) -> None:
    """Refuse to go on without packages of the extra ``export``.

    Raises:
        ConfigError: names what is missing, and the command that installs it.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ConfigError(f"{' and '.join(missing)} {verb} not installed: {INSTALL}")
