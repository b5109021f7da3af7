"""`fountain demo`: the main job, performed and timed."""
