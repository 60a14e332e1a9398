"""The executor: runs the handlers of an app for the executions that its consumer group is given."""
