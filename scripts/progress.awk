# Makes progress of what `go build -v` says: the names of packages as they are compiled,
# and of modules as they are fetched. Whatever else it says passes. The last line is
# "ended STATUS", and that is how this ends, too.
function tell(count, what) {
	if (count == 1) print "Compiling; on a new machine this takes two minutes or so …"
	if (count % 25 == 0) print "  " what
	fflush()
}
/^ended [0-9]+$/ { status = $2; next }
/^go: (downloading|finding|extracting) / { tell(++modules + packages, modules " modules fetched, " packages " packages compiled"); next }
/^[-_a-zA-Z0-9.\/~]+$/ { tell(modules + ++packages, modules " modules fetched, " packages " packages compiled"); next }
{ print; fflush() }
END { exit status }
