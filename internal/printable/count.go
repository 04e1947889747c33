package printable

import "strconv"

// Count returns a number with the noun, such as "1 session" or "1,024 sessions". The number has commas. The second noun
// is for all numbers but 1.
func Count[T int | uint64 | int64](n T, one, several string) string {
	if n == 1 {
		return "1 " + one
	}

	return Number(n) + " " + several
}

// Number returns a number with commas.
func Number[T int | uint64 | int64](n T) string {
	digits, sign := strconv.FormatUint(uint64(n), 10), ""
	if n < 0 {
		digits, sign = strconv.FormatUint(-uint64(n), 10), "-"
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}

	return sign + digits
}
