"""What another decoder has read in frames, beside what we read: one reader for each protocol."""
