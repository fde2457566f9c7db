"""Who may do what: principals, permissions, and the one decision. Pure; what asks and what keeps records lives elsewhere."""
