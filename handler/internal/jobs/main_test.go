package jobs_test

import (
	"os"
	"testing"

	"xarchive/handler/internal/jobs/jobstest"
)

func TestMain(m *testing.M) { os.Exit(jobstest.Run(m)) }
