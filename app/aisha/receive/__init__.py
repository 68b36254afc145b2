"""The first step: an update is committed before it is acknowledged, then handled."""
