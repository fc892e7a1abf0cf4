"""What machines that watch are told: metrics, health, a line a minute."""
