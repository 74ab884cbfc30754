"""A class of submissions: found, graded several at once, resumed, judged again, and put into gradebooks."""
