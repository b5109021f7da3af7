"""The notification service: a durable event log, pushed to streams and subscriptions."""
