"""Grade many studies into one folder: resumable, one failure never stops the rest.

Nothing is imported here, so that a run starts its workers before its own imports.
"""
