"""Attack your own protected data: train what an adversary would train, and measure what it learned."""
