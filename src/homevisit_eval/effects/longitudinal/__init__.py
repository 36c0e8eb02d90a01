"""Effects over several periods: difference-in-differences, event studies, group-time effects."""
