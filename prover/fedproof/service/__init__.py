"""The aggregator as a service, and health and metrics over HTTP."""
