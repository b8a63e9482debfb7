"""From what services have logged to a new champion, one step a run: decide, train, judge, let shadow, promote."""
