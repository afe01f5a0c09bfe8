"""What the tests' Hub refuses of the metadata at the top of a card."""

import re

import yaml


def metadata_errors(card: str) -> list[str]:
    """What the Hub would refuse of the metadata at the top of a card: YAML that does not parse, fields of wrong type."""
    block = re.match(r"---\r?\n(.*?)\r?\n?---(\r?\n|$)", card, re.DOTALL)
    try:
        metadata = yaml.safe_load(block[1]) if block else {}
    except yaml.YAMLError as error:
        return [f"YAML metadata error: {error}"]
    if not isinstance(metadata or {}, dict):
        return ["YAML metadata error: the metadata must be a mapping"]
    return [
        f'"{name}" must be {description}'
        for name, (description, accepts) in FIELDS.items()
        if name in (metadata or {}) and not accepts(metadata[name])
    ]


def is_text(value) -> bool:
    return isinstance(value, str)


def is_texts(value) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def is_text_or_texts(value) -> bool:
    return is_text(value) or is_texts(value)


def has_names(value) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and is_text(item.get("config_name")) for item in value
    )


FIELDS = {
    **dict.fromkeys(["license", "language", "annotations_creators"], ("a string or a list of them", is_text_or_texts)),
    **dict.fromkeys(["task_categories", "tags", "size_categories"], ("a list of strings", is_texts)),
    **dict.fromkeys(["pretty_name", "extra_gated_prompt", "license_name"], ("a string", is_text)),
    "configs": ("a list of mappings with a config_name", has_names),
    "extra_gated_fields": ("a mapping", lambda value: isinstance(value, dict)),
}
