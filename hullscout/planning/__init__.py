"""Planning: what a campaign saves, at what risk and cost, before it is spent. Replays, cost models, forecasts, budgets."""
