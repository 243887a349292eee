"""The JSON schema of a configuration file, which may have fewer keys than a whole configuration needs."""

from typing import Any

from pipeline.config.recipes import recipes
from pipeline.config.run import RunConfig


def file_schema() -> dict[str, Any]:
    """Return the schema of a configuration file (JSON Schema, draft 2020-12).

    A file is a layer over a recipe, so no key is required, and it may name the recipe and changes per task.
    """
    schema = RunConfig.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("required", None)
    names = [name for name, _ in recipes()]
    for name in ("phases", "students"):  # in a file, a mapping changes the items of the list beneath it by their names
        listed = schema["properties"][name]
        by_name = {"type": "object", "additionalProperties": {"anyOf": [{"type": "object"}, {"type": "null"}]}}
        kept = {key: listed.pop(key) for key in ("type", "items", "minItems") if key in listed}
        listed["anyOf"] = [kept, by_name]
    changes = {"type": "object", "additionalProperties": {"type": "object"}}
    schema["properties"] |= {
        "recipe": {"enum": names, "title": "Recipe", "description": "The recipe that the file starts from."},
        "per_task": {**changes, "title": "Per task", "description": "Task name to the keys that it changes."},
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "tinybert configuration"}
