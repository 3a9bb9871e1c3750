# pyproject.toml for meson-python before 0.18
s/^license = \(".*"\)$/license = {text = \1}/
/^license-files = /d
/^\[tool.meson-python\]$/d
/^limited-api = /d
