package corpus

import (
	"fmt"
	"strings"
	"time"
)

// oldDays are posts from before ids held the time, and early ones that do.
func (b *builder) oldDays(c cast) {
	b.post(draft{by: c.press, id: "418223901", at: at("2007-11-16 10:02:11.000"), text: "setting up our twitter. is anyone reading this?", source: "web"})
	b.post(draft{by: c.press, id: "431560712", at: at("2007-11-23 16:45:00.000"), text: "Open day at Hollow Bank on Saturday, bring boots. Details: https://www.contoso-energy.example/openday"})
	b.post(draft{by: c.press, id: "20881944371", at: at("2010-08-11 23:59:59.000"), text: "Storm damage at Larkfield is repaired. Thank you for your patience, and to our crews: 31 hours without sleep."})
	b.post(draft{by: c.press, at: at("2010-11-04 01:43:02.001"), seq: 3, text: "Up early for the switch-on of turbine 1 at Hollow Bank. It turns!", untimed: true})
	b.post(draft{by: c.press, at: at("2014-02-28 09:15:27.310"), text: "Full year results: revenue up 7% to £412m, and 38 apprentices taken on. $CTSO https://www.contoso-energy.example/investors/2013"})
}

// press are the newsroom's posts that tell a story each.
func (b *builder) press(c cast) {
	larkfield := b.place("5de1a0bb7c2e4f01", "Larkfield, England", "Larkfield", -1.92, 54.31, -1.71, 54.44)

	launch := b.post(draft{by: c.press, at: at("2024-11-05 08:00:00.412"), place: larkfield, media: []string{b.photo(hills, "Three white wind turbines on green hills under a blue sky")},
		text: "Today we switch on Larkfield Ridge: 42 turbines, 176 MW, enough for 150,000 homes. Thank you to everyone in #Larkfield who made room for it. https://www.contoso-energy.example/larkfield?utm_source=x&utm_medium=social"})
	two := b.post(draft{by: c.press, at: at("2024-11-05 08:06:31.007"), reply: launch, text: "2/4 Each blade is 67 m long. They came up the A68 at night, at 8 km/h, and the village bakery stayed open for the drivers. 🥐"})
	three := b.post(draft{by: c.press, at: at("2024-11-05 08:09:12.950"), reply: two, media: []string{b.video("Time-lapse of a turbine turning above the sea, three seconds", true)}, text: "3/4 What 11 rpm looks like from the nacelle:"})
	b.post(draft{by: c.press, at: at("2024-11-05 08:15:40.222"), reply: three, text: "4/4 A community fund of £900,000 a year opens in January. Applications through @LarkfieldCouncil."})

	council := b.post(draft{by: c.council, elsewhere: true, at: at("2024-11-05 09:30:00.100"), media: []string{b.photo(dusk, "")},
		text: "Larkfield Ridge is live! Apply for the community fund from 6 January: https://www.larkfield.example/fund #Larkfield"})
	b.post(draft{by: c.press, at: at("2024-11-05 09:41:05.871"), quote: council, text: "From day one, together with @LarkfieldCouncil 🤝"})
	b.post(draft{by: c.press, at: at("2024-11-05 10:05:00.000"), retweet: council})

	longRead := b.post(draft{by: c.grid, elsewhere: true, at: at("2024-11-12 07:00:00.650"), text: "Yesterday evening's demand peak was the highest of the season so far: 9.84 GW at 17:42. Three things kept the system steady. First, wind: @ContosoEnergy's Larkfield Ridge ran at 91% of its rating through the peak, on its seventh day of operation. Second, batteries: the two sites at Thornby delivered 100 MW for ninety minutes. Third, you: 61,000 households took part in our flexibility hour and moved washing, charging & heating out of the peak. Numbers, charts and method: https://www.northgrid.example/reports/2024-11-11 #gridnotes"})
	b.post(draft{by: c.press, at: at("2024-11-12 08:20:15.333"), retweet: longRead})

	b.post(draft{by: c.press, at: at("2024-11-14 12:00:00.900"), media: []string{b.photo(offshore, "Offshore turbines in a calm sea, morning sun"), b.photo(hills, ""), b.photo(dusk, "Two turbines against an orange evening sky"), b.photo(night, "A turbine at night under the moon")},
		text: "Morning, noon, evening, night at Hollow Bank. Same turbines, four moods. Pictures by our technician Ewa."})
	b.post(draft{by: c.press, at: at("2024-11-15 15:30:44.020"), media: []string{b.photo(chart, "Bar chart: yearly generation in GWh from 2016 to 2024, rising from 120 to 290")}, text: "Nine years in one picture. 2024 isn't over and already our best. $CTSO"})
	b.post(draft{by: c.press, at: at("2024-11-18 17:12:09.441"), media: []string{b.gif("A wind turbine turning in the sun")}, text: "Mondays."})
	b.post(draft{by: c.press, at: at("2024-11-20 09:00:00.015"), media: []string{b.photo(offshore, "Cable ship, far out"), b.photo(dusk, "")}, text: "Cable laying for Hollow Bank 2 has started. 84 km, 40 m deep, one very patient ship."})
	b.post(draft{by: c.press, at: at("2024-11-21 11:00:00.500"), media: []string{b.photo(hills, ""), b.photo(night, ""), b.photo(offshore, "")}, text: "Three shortlisted names for our new crew boat. Voting on Monday!"})
	b.post(draft{by: c.press, at: at("2024-11-25 09:00:00.123"), poll: b.poll("closed", at("2024-11-28 09:00:00.000"), 4320, "Boaty McVolt", "Windlass", "Gust of Honour", "Ampère"), text: "Name our crew boat. You have three days; we promise to live with the result."})
	b.post(draft{by: c.press, at: at("2025-03-31 09:00:00.700"), poll: b.poll("open", at("2025-04-07 09:00:00.000"), 10080, "Yes, every night", "Only when it's cheap", "What is a time-of-use tariff?"), text: "Do you charge your car at night? (Asking for a tariff team.)"})

	// A post that was edited twice: X gives each version an id of its own.
	first, second, third := at("2024-12-03 07:58:00.200"), at("2024-12-03 08:03:30.480"), at("2024-12-03 08:21:02.019")
	history := []string{NewID(first, 11), NewID(second, 12), NewID(third, 13)}
	b.post(draft{by: c.press, at: first, seq: 11, history: history, elsewhere: true, text: "From 1 January our standard tariff falls by 12% for all customers. Nothing to do, it happens by itself."})
	b.post(draft{by: c.press, at: second, seq: 12, history: history, elsewhere: true, text: "From 1 January our standard tariff falls by 2% for all customers. Nothing to do, it happens by itself."})
	edited := b.post(draft{by: c.press, at: third, seq: 13, history: history, text: "From 1 January our standard tariff falls by 1.2% for all customers. Nothing to do, it happens by itself. (Corrected: an earlier version had the wrong figure.)"})
	b.post(draft{by: c.press, at: at("2024-12-03 08:30:00.000"), reply: edited, text: "To be clear: the first version said 12%. That was our mistake, not a change of plan. Sorry."})

	mira := b.post(draft{by: c.journalist, elsewhere: true, at: at("2024-12-03 08:10:00.812"), text: "That was quick: @ContosoEnergy says 12%, then 2%. Which is it?"})
	b.post(draft{by: c.press, at: at("2024-12-03 08:33:10.404"), reply: mira, quote: edited, text: "@mira_okonjo 1.2%, as the corrected post says. We've called your desk as well."})

	b.post(draft{by: c.press, at: at("2024-12-09 10:00:00.031"), text: "Why do turbines stand still on a windy day? It is the question we are asked most, and there are four honest answers. One: the grid is full. When more is generated than the lines can carry, the operator asks some of us to pause; we are paid for it, and we publish every hour of it at https://www.contoso-energy.example/curtailment. Two: maintenance, planned for summer but not always possible then. Three: ice, because a piece of it thrown from a blade tip flies far. Four: bats. From August to October, at dusk & below 6 m/s, we switch off for them; it costs us <0.5% of the year's output. Questions? Ask here or @ContosoHelp. #askContoso"})

	b.post(draft{by: c.press, at: at("2024-12-12 14:00:00.260"), article: &article{
		Title:       "Twenty years of Hollow Bank",
		PreviewText: "In 2004 it was a line on a chart. This is how it became a power station.",
		PlainText:   "In 2004 it was a line on a chart. This is how it became a power station.\n\nThe first survey boat left Port Ansel on a Tuesday. Nobody had built in water that deep…\n\nToday 62 turbines stand there, and the harbour that had lost its fishery has 140 people working on the wind.",
		CoverMedia:  b.photo(offshore, "Hollow Bank from the crew boat"), MediaEntities: []string{b.photo(night, "The last turbine, at night")},
	}})

	b.post(draft{by: c.press, at: at("2024-12-31 23:59:59.999"), text: "Three, two, …"})
	b.post(draft{by: c.press, at: at("2025-01-01 00:00:00.000"), media: []string{b.photo(night, "A turbine under the moon")}, text: "… one. Happy New Year from the control room! 🎆"})
	b.post(draft{by: c.press, at: at("2025-01-31 23:59:30.000"), text: "Last day to apply for the Larkfield community fund: it closes at midnight UTC."})
	b.post(draft{by: c.press, at: at("2025-02-01 00:00:30.000"), text: "The fund is closed: 318 applications. Decisions by 15 March."})

	same := at("2025-01-15 12:00:00.500")
	b.post(draft{by: c.press, at: same, seq: 41, text: "Service notice (north): planned work on Sunday 19 January, 02:00–05:00."})
	b.post(draft{by: c.press, at: same, seq: 42, text: "Service notice (south): planned work on Sunday 26 January, 02:00–05:00."})

	trust := b.post(draft{by: c.charity, elsewhere: true, at: at("2025-01-20 08:00:00.333"), media: []string{b.video("Volunteers' turbine outing", true)}, text: "What 400 volunteers did in one cold week ❄️ Thank you @ContosoEnergy for the heaters."})
	b.post(draft{by: c.press, at: at("2025-01-20 09:12:00.000"), retweet: trust})
	b.post(draft{by: c.press, at: at("2025-01-20 18:00:00.640"), quote: trust, text: "Proud of the 63 colleagues among them."})
	own := b.post(draft{by: c.press, at: at("2025-01-22 10:00:00.818"), text: "We're hiring 24 wind technicians in Port Ansel. No experience needed, training paid: https://www.contoso-energy.example/jobs/technicians #jobs"})
	b.post(draft{by: c.press, at: at("2025-01-29 10:00:00.001"), quote: own, text: "One week left!"})
	b.post(draft{by: c.press, at: at("2025-01-30 08:00:00.010"), retweet: own})
}

// pressSeries are the newsroom's regular posts, one every 16 hours or so.
func (b *builder) pressSeries(c cast) {
	sites := []string{"Larkfield Ridge", "Hollow Bank", "Thornby Moor", "Port Ansel", "Skerry Point", "Dunmere"}
	start := at("2024-10-28 06:30:00.000")
	for i := range 170 {
		n := number(fmt.Sprint("press ", i))
		d := draft{by: c.press, at: start.Add(time.Duration(i)*22*time.Hour + time.Duration(n%5_400_000)*time.Millisecond), seq: n % 4096}
		site := sites[n%len(sites)]
		switch i % 7 {
		case 0:
			d.text = fmt.Sprintf("Yesterday in numbers: %d.%d GWh generated, %d.%d%% availability, best hour %02d:00 at %s. #dailywind", 6+n%9, n%10, 93+n%6, n%10, n%24, site)
		case 1:
			d.text = fmt.Sprintf("Maintenance at %s this week: %d turbines, one at a time. You may see them stand still in good wind; this is why.", site, 2+n%7)
		case 2:
			d.text = fmt.Sprintf("Forecast for the week: %d to %d m/s at hub height, calm on %s. We expect about %d GWh. #windweek", 5+n%3, 11+n%6, []string{"Tuesday", "Thursday", "Saturday"}[n%3], 52+n%40)
			if i%2 == 0 {
				d.media = []string{b.photo(chart, "Bar chart of the week's expected generation")}
			}
		case 3:
			d.text = fmt.Sprintf("Meet the team: %s, %s at %s for %d years. \"%s\"", []string{"Ewa", "Callum", "Priya", "Jonas", "Adaeze"}[n%5], []string{"technician", "skipper", "control room operator", "ecologist", "apprentice"}[n%5], site, 1+n%19,
				[]string{"The view never gets old.", "You learn to read the sea.", "Quiet nights are good nights.", "Yes, I am good with heights."}[n%4])
			d.media = []string{b.photo([]picture{hills, dusk, offshore, night}[n%4], site)}
		case 4:
			d.text = fmt.Sprintf("School visit at %s today: %d children, %d excellent questions & one lost mitten (blue, it's at reception).", site, 18+n%40, 30+n%50)
		case 5:
			d.text = fmt.Sprintf("Hollow Bank 2: turbine %d of 62 is up. Next lift when the swell is below 1.5 m. https://www.contoso-energy.example/hollowbank2/log/%d", 1+i/3, 100+i)
			d.media = []string{b.photo(offshore, "")}
		case 6:
			d.text = fmt.Sprintf("Board and roads: the access track at %s is closed for walkers %s, signed detour %d m. Sorry!", site, []string{"on Monday morning", "until Friday", "from 08:00 to 16:00 tomorrow"}[n%3], 200+n%900)
		}
		if i%31 == 9 {
			d.media = []string{b.video(strings.ToLower(site)+" from the air", true)}
		}
		b.post(d)
	}
}
