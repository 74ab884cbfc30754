"""What the notebook says about a task as soon as it is filled. The text of these files stands in the notebook.

They need torch and numpy alone, and know no points and no threshold: what they tell is not what grades. Every name of
theirs begins with an underscore, except `self_check` itself, so that none of the student's is taken.
"""
