"""Workers in other processes: how they are made there, and how they and the run speak with each other."""
