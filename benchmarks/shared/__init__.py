"""What several contenders share."""
