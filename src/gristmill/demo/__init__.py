"""The demo: three duchies measure how many aircraft left New York, and how often, without seeing one."""
