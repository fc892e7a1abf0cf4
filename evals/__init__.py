"""How well we read what others have collected: corpora that are not part of this project.

``python -m evals.feeds FOLDER``.
"""
