package sandbox

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// accountReads is what the connector writes down of its reads (docs/format.md, Reads).
type accountReads struct {
	ID           string
	Months, Days map[string]map[string]int
	Billed       map[string]struct {
		Posts []byte
		Users []string
	}
}

// CheckReads compares what the connector says that it has read of X with what X bills:
// each post and each account, by the day, and each count of posts. It is not for a moment at which the connector
// is reading.
func (s *Sandbox) CheckReads(ctx context.Context) error {
	all, err := s.reads(ctx)
	if err != nil {
		return fmt.Errorf("comparing reads with X's bill: %w", err)
	}
	counted, counts := map[string]bool{}, 0
	var faults []error
	for _, a := range all {
		sum := map[string]int{}
		for date, billed := range a.Billed {
			n, last := len(billed.Users), uint64(0)
			for _, id := range billed.Users {
				counted[date+" user "+id] = true
			}
			for rest := billed.Posts; len(rest) > 0; n++ {
				difference, size := binary.Uvarint(rest)
				if size <= 0 {
					return fmt.Errorf("comparing reads with X's bill: account %s: the posts of %s are no list of ids", a.ID, date)
				}
				last += difference
				counted[date+" "+strconv.FormatUint(last, 10)] = true
				rest = rest[size:]
			}
			day := 0
			for purpose, reads := range a.Days[date] {
				sum[date[:7]] += reads
				if purpose == "counts" { // X bills each request, not what it is about
					counts += reads
				} else {
					day += reads
				}
				if reads <= 0 || purpose == "" {
					faults = append(faults, fmt.Errorf("account %s: %d reads for %q", a.ID, reads, purpose))
				}
			}
			if day != n {
				faults = append(faults, fmt.Errorf("account %s: %d reads on %s, and %d posts and accounts", a.ID, day, date, n))
			}
		}
		for month, by := range a.Months {
			n := 0
			for _, reads := range by {
				n += reads
			}
			if n != sum[month] {
				faults = append(faults, fmt.Errorf("account %s: %d reads in %s, and %d on its days", a.ID, n, month, sum[month]))
			}
		}
	}
	if billed := s.X.Stats().Counts; counts != billed {
		faults = append(faults, fmt.Errorf("%d counts of posts are counted, X bills %d", counts, billed))
	}
	bill := s.X.Billed()
	if got := slices.Sorted(maps.Keys(counted)); !slices.Equal(got, bill) {
		faults = append(faults, fmt.Errorf("%d reads are counted, X bills %d; not counted: %q; not billed: %q", len(got), len(bill), without(bill, got), without(got, bill)))
	}
	return errors.Join(faults...)
}

// Reads returns how much the connector says that it has read of X, by purpose, in all
// months that it still knows and of all accounts.
func (s *Sandbox) Reads(ctx context.Context) (map[string]int, error) {
	all, err := s.reads(ctx)
	sum := map[string]int{}
	for _, a := range all {
		for _, by := range a.Months {
			for purpose, n := range by {
				sum[purpose] += n
			}
		}
	}
	return sum, err
}

// without returns some of a that are not in b.
func without(a, b []string) []string {
	out := slices.DeleteFunc(slices.Clone(a), func(x string) bool { _, found := slices.BinarySearch(b, x); return found })
	return out[:min(len(out), 10)]
}

// reads reads what the connector has written down of its reads.
func (s *Sandbox) reads(ctx context.Context) (all []accountReads, err error) {
	c, err := container.NewClientFromConnectionString(s.Blobs.ConnectionString(""), "connector-state", nil)
	if err != nil {
		return nil, err
	}
	pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: new("reads/")})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if bloberror.HasCode(err, bloberror.ContainerNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, b := range page.Segment.BlobItems {
			answer, err := c.NewBlobClient(*b.Name).DownloadStream(ctx, nil)
			if err != nil {
				return nil, err
			}
			data, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil {
				return nil, err
			}
			var a accountReads
			if err := json.Unmarshal(data, &a); err != nil {
				return nil, err
			}
			if strings.TrimSuffix(strings.TrimPrefix(*b.Name, "reads/"), ".json") != a.ID {
				return nil, fmt.Errorf("%s holds the reads of account %q", *b.Name, a.ID)
			}
			all = append(all, a)
		}
	}
	return all, nil
}
