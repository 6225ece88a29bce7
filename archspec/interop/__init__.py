"""The border: other projects' configurations and tensor names, and ours."""
