"""What a run will cost, told before it is paid: rehearsals of its stages on a few rows, and the arithmetic on them."""
