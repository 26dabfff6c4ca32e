package corpus

import (
	"fmt"
	"time"
)

// support is the help account: it answers people, and says when something is
// broken.
func (b *builder) support(c cast) {
	b.post(draft{by: c.help, at: at("2012-03-05 11:00:00.250"), text: "Hello! We're the help desk of @ContosoEnergy. Ask us anything, but never post your account number."})
	outage := b.post(draft{by: c.help, at: at("2024-11-23 17:20:00.500"), text: "⚠️ Power is out in parts of Thornby (TH3, TH4) after lightning. Crews are on the way. We post here every 30 minutes. Map: https://www.contoso-energy.example/outages"})
	last := outage
	for i, text := range []string{
		"17:50 Two faults found. 3,100 homes are back, 1,400 are not.",
		"18:20 The second cable is damaged underground; we are digging. Warm drinks at Thornby Hall from 18:30, thanks to @WarmHomesTrust ☕",
		"18:50 1,400 homes still without power. If you depend on medical equipment call 105 now, please.",
		"19:25 All homes are back. Total: 2 h 5 min for the longest. Compensation is paid without asking.",
	} {
		last = b.post(draft{by: c.help, at: at("2024-11-23 17:50:00.500").Add(time.Duration(i) * 30 * time.Minute), reply: last, text: text})
	}
	b.post(draft{by: c.help, at: at("2024-11-23 19:40:00.000"), retweet: b.post(draft{by: c.charity, elsewhere: true, at: at("2024-11-23 19:30:00.000"), text: "Thornby Hall served 212 cups of tea tonight. Well done all."})})
	b.post(draft{by: c.help, at: at("2024-12-24 16:00:00.777"), media: []string{b.photo(night, "A turbine on a quiet night")}, text: "We're open over the holidays, 8am–8pm. Outages: any time, call 105. 🎄"})
	b.post(draft{by: c.help, at: at("2025-01-10 09:00:00.000"), poll: b.poll("closed", at("2025-01-11 09:00:00.000"), 1440, "Chat", "Phone", "A letter, please"), text: "How do you like to reach us?"})

	questions := []struct{ ask, answer string }{
		{"my smart meter shows a dash since Sunday, is it broken?", "A dash means it has lost its radio link. It still counts. Hold the left button for 10 seconds; if the dash is back tomorrow, send us a DM."},
		{"moving house on Friday, what do I need to do?", "Congratulations! Read the meter on the day and fill this in, two minutes: https://www.contoso-energy.example/moving"},
		{"charged twice this month?!", "That's not right, sorry. Please send us a DM with your postcode (no account number here) and we'll look at once."},
		{"do you really pay me for using less at 6pm?", "We do: £3 per kWh in the flexibility hour, with @NorthGridCo. Sign up: https://www.contoso-energy.example/flex #flexhour"},
		{"is the night tariff 00:30 or 23:30 in winter??", "00:30–05:30 all year, clock time. Your meter changes its clock by itself."},
		{"your app says 'error 17' and nothing else", "Error 17 is our server, not your phone. Fixed since 14:10. Thanks for telling us & sorry for the words."},
		{"can I get bills in large print?", "Of course. Done if you DM us your name & postcode, or call 0800 and say \"large print\"."},
	}
	start := at("2024-11-06 08:15:00.000")
	for i := range 50 {
		n := number(fmt.Sprint("help ", i))
		when := start.Add(time.Duration(i)*67*time.Hour + time.Duration(n%20_000_000)*time.Millisecond)
		who := []*userObject{c.customer, c.gone, c.journalist}[n%3]
		q := questions[i%len(questions)]
		question := b.post(draft{by: who, elsewhere: true, at: when, seq: n % 4096, text: "@ContosoHelp " + q.ask})
		b.post(draft{by: c.help, at: when.Add(time.Duration(3+n%50) * time.Minute), seq: n % 4096, reply: question, text: "@" + who.Username + " " + q.answer})
	}
}
