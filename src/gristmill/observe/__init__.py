"""What a process tells its operators: logs, metrics, and the calls that it makes and answers."""
