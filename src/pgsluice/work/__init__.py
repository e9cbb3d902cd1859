"""What workers do: hands take work, `loops` keeps them going, `news` wakes them."""
