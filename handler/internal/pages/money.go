package pages

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"xarchive/handler/internal/health"
	"xarchive/handler/internal/reads"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// money is what was read of X in this month, and what it costs.
type money struct {
	Columns []string   // what was read for
	Rows    []moneyRow // an account each
	Total   moneyRow
	Credits string          // the app's balance as X last told; "" if it did not
	AsOf    time.Time       // when it did
	Limit   *health.Finding // how the month stands to X_READS_PER_MONTH; nil without
}

// moneyRow is what an account has read, or all of them.
type moneyRow struct {
	Name     string
	Reads    []int // by column
	Cost     string
	End      int    // posts by the month's end, at the last week's rate
	CostOfIt string // of all of it
}

// purposes are the columns that are shown, those after the second where there is something.
var purposes = []struct {
	purpose twitter.Purpose
	name    string
}{
	{twitter.Posts, "New posts"}, {twitter.LookUps, "Look-ups"}, {twitter.History, "History"}, {twitter.Audits, "Audits"},
	{twitter.Mentions, "Mentions"}, {twitter.Users, "Accounts"}, {twitter.Counts, "Counts"},
}

// money reads what was read of X.
func (q *request) money(jobs []jobHealth) (money, []string, error) {
	list, damaged, err := q.pages.opt.Records.AllReads(q.r.Context())
	if err != nil {
		return money{}, nil, err
	}
	now := q.pages.opt.Now()
	accounts := map[string]string{}
	var told state.Stated
	for _, h := range jobs {
		accounts[h.Job.AccountID] = h.Name()
		if s := h.Account.Stated; s != nil && s.Credits != nil && s.At.After(told.At) {
			told = *s
		}
	}
	total := reads.Sum(list, now)
	m := money{Limit: limitFinding(total, q.pages.opt.ReadsLimit)}
	if told.Credits != nil {
		m.Credits, m.AsOf = dollars(*told.Credits), told.At
	}
	shown := purposes[:0:0]
	for i, p := range purposes {
		if i < 2 || total.By[string(p.purpose)] > 0 {
			shown = append(shown, p)
			m.Columns = append(m.Columns, p.name)
		}
	}
	row := func(name string, s reads.Summary) moneyRow {
		r := moneyRow{Name: name, Cost: dollars(s.Dollars), End: s.ToMonthsEnd, CostOfIt: dollars(s.DollarsEnd)}
		for _, p := range shown {
			r.Reads = append(r.Reads, s.By[string(p.purpose)])
		}
		return r
	}
	for _, r := range list {
		m.Rows = append(m.Rows, row(cmp.Or(accounts[r.ID], "Account "+r.ID), reads.Sum([]state.Reads{r}, now)))
	}
	slices.SortFunc(m.Rows, func(a, b moneyRow) int { return cmp.Compare(a.Name, b.Name) })
	m.Total = row("All accounts", total)
	return m, damagedNames(damaged), nil
}

// limitFinding says how the month's reads stand to their limit.
func limitFinding(s reads.Summary, limit int) *health.Finding {
	if limit == 0 {
		return nil
	}
	share := fmt.Sprintf("%s of %s posts (%d %%)", health.Number(s.Posts), health.Number(limit), s.Posts*100/limit)
	const rest = "New posts are read whatever the limit; history, audits and mentions stop before it."
	switch {
	case s.Posts >= limit:
		return &health.Finding{Level: health.NeedsYou, Title: "The month's limit on reads is passed", Text: share + ", by X_READS_PER_MONTH. " + rest + " Raise it, or see below what reads so much."}
	case reads.Near(s.Posts, limit):
		return &health.Finding{Level: health.NeedsYou, Title: "The month's limit on reads is near", Text: share + ", by X_READS_PER_MONTH. " + rest}
	case s.ToMonthsEnd > limit:
		return &health.Finding{Level: health.Working, Title: "The month's limit on reads will not last", Text: share + ", by X_READS_PER_MONTH; at the rate of the last seven days the month ends at " + health.Number(s.ToMonthsEnd) + ". " + rest}
	}
	return &health.Finding{Level: health.Well, Text: share + ", by X_READS_PER_MONTH. " + rest}
}

// dollars writes an amount to the cent, upwards: what is not free is not 0.00.
func dollars(amount float64) string {
	cents := int(amount * 100)
	if float64(cents) < amount*100-1e-6 {
		cents++
	}
	return fmt.Sprintf("$%s.%02d", health.Number(cents/100), cents%100)
}
