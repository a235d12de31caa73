"""What a study takes before it is run: GPU hours, disk, service calls."""
