"""A student's notebook read, matched with its template and restored; and the template made from the reference."""
