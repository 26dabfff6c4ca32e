package pages

import (
	"fmt"
	"time"

	"xarchive/handler/internal/health"
)

// A chart shows posts archived per day as bars: an SVG without any style of its
// own (the pages' policy allows none), with the same numbers in a table below.

const (
	chartDays   = 30
	chartHeight = 120 // units of the drawing, of the bars
	barStep     = 20
	barWidth    = 14
)

// chart is one account's.
type chart struct {
	Bars          []bar
	Width, Height int
	Top           int // posts on the day with the most
	Total         int
	First, Last   time.Time
	Summary       string // what a picture says at a glance, in words
}

type bar struct {
	X, Y, Width, Height int
	Day                 time.Time
	Posts               int
}

// newChart draws the days up to today. daily is by UTC date.
func newChart(daily map[string]int, now time.Time) chart {
	today := now.UTC().Truncate(24 * time.Hour)
	c := chart{Width: chartDays*barStep - (barStep - barWidth), Height: chartHeight + 3, First: today.AddDate(0, 0, 1-chartDays), Last: today}
	busiest := today
	for i := range chartDays {
		d := c.First.AddDate(0, 0, i)
		posts := max(0, daily[d.Format(time.DateOnly)])
		if posts > c.Top {
			c.Top, busiest = posts, d
		}
		c.Total += posts
		c.Bars = append(c.Bars, bar{X: i * barStep, Width: barWidth, Day: d, Posts: posts})
	}
	c.scale()
	c.Summary = fmt.Sprintf("No posts in the last %d days.", chartDays)
	if c.Total > 0 {
		c.Summary = fmt.Sprintf("%s in the last %d days, most on %s (%s).", health.Plural(c.Total, "post"), chartDays, day(busiest), health.Number(c.Top))
	}
	return c
}

// scale gives the bars their heights.
func (c *chart) scale() {
	c.Height = chartHeight + 3
	for i := range c.Bars {
		b := &c.Bars[i]
		if b.Posts > 0 {
			b.Height = max(3, b.Posts*chartHeight/c.Top) // one post is to be seen beside a thousand
		}
		b.Y = chartHeight - b.Height
	}
}
