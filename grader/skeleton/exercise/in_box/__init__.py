"""What runs beside the student's code: it asks, records raw numbers, and judges nothing."""
