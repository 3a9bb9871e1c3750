"""The peers whose results and speed are compared with ours."""
