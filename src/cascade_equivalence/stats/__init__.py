"""How alike two systems answer: agreement, shared errors and accuracy, with intervals over whole texts."""
