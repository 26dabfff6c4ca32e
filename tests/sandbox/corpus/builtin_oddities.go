package corpus

// oddities are posts of the newsroom that something in an archive could trip
// over. Each is a thing X has sent to someone.
func (b *builder) oddities(c cast) {
	one := func(when, text string) { b.post(draft{by: c.press, at: at(when), text: text}) }

	// Code points before entities, so that bytes or UTF-16 units as positions go wrong.
	one("2025-02-03 08:00:00.101", "👩‍🔧👨🏽‍🔧 Apprentices' day! 🏴󠁧󠁢󠁥󠁮󠁧󠁿 to 🇳🇴, thank you @NorthGridCo for the tour: https://www.contoso-energy.example/apprentices #futureskills")
	one("2025-02-03 12:00:00.102", "𝗢𝗻𝗲 𝘆𝗲𝗮𝗿 of 𝒪𝓅ℯ𝓃 data. 𓆏 Yes, that is a frog. https://www.contoso-energy.example/data #opendata")
	one("2025-02-04 08:00:00.103", "شكرًا لزوارنا من مسقط! Visitors from Muscat at Hollow Bank today, @NorthGridCo too. #طاقة_الرياح https://www.contoso-energy.example/visitors")
	one("2025-02-04 12:00:00.104", "ברוכים הבאים (welcome) to our partners from Haifa: \u202Bאנרגיית רוח\u202C 💨 @WarmHomesTrust")
	one("2025-02-05 08:00:00.105", "Cafe\u0301, re\u0301sume\u0301, Z͑ͫ̓ͪ̂ͫ̽͏̴̙a̴l͖g̷o: our form now takes every name, however it is typed. Thanks @tomasz_w for the report. #accessibility")
	b.post(draft{by: c.press, at: at("2025-02-05 12:00:00.106"), lang: "ja", text: "洋上風力発電所の見学会、ありがとうございました。写真はこちら→ https://www.contoso-energy.example/ja/tour #風力発電 @fuuryoku_news"})
	one("2025-02-06 08:00:00.107", "🎉")
	one("2025-02-06 12:00:00.108", "R&D day: output > forecast && losses < 2%. If x<y and y>z, is x<z? (No.) @mira_okonjo asked. #R5")
	one("2025-02-07 08:00:00.109", "For developers: our API returns &amp; as &amp;amp; in XML, and yes, &copy; stays &copy;. Docs: https://www.contoso-energy.example/api?a=1&b=2&lt=3")

	// Text that some reader might take for something else.
	one("2025-02-10 08:00:00.110", "Our phishing test of the week, do not paste it anywhere: <script>alert('contoso')</script> <img src=x onerror=alert(1)> \"><b>bold</b>")
	one("2025-02-10 12:00:00.111", "What a forged notice looks like:\r\nBcc: everyone@contoso-energy.example\r\nSubject: Your bill\r\n\r\nPlease pay today.\nReport such mail to @ContosoHelp.")
	one("2025-02-11 08:00:00.112", "Formula of the day: =SUM(A1:A9) kWh. From our spreadsheet, with love. ../../etc/hosts is not a tariff; C:\\meters\\* isn't either. %s %00 ${HOME} {{tariff}}")
	one("2025-02-11 12:00:00.113", "Lines:\n\n.\n.\n- one\n> two\nFrom the control room\n\n\tand a tab. Trailing space ")
	one("2025-02-12 08:00:00.114", "Three texts, one meaning: 50 Hz\u00a0± 0.2 · 50\u2009Hz · 50\u200BHz\u2028Thanks for noticing \ufeff@mira_okonjo")
	one("2025-02-12 12:00:00.115", "@ContosoHelp is open until 22:00. @nobody_by_this_name is not us. E-mail press@contoso-energy.example, not @ContosoEnergy, for interviews. #1 in the region, $CTSO up $2.")
	one("2025-02-13 08:00:00.116", "Twice the same link: https://www.contoso-energy.example/outages and again https://www.contoso-energy.example/outages (once for the people at the back).")
	one("2025-02-13 12:00:00.117", "Straße, naïve, Ελλάδα, Україна, 한국, हिन्दी: our help pages in 14 languages. https://www.contoso-energy.example/languages/äöü?q=straße")

	// States.
	b.post(draft{by: c.press, at: at("2025-02-17 08:00:00.118"), sensitive: true, media: []string{b.photo(dusk, "Injured buzzard, being treated")}, text: "A hard picture: the buzzard found at Dunmere is being cared for. Strikes are rare, we report all of them."})
	b.post(draft{by: c.press, at: at("2025-02-17 12:00:00.119"), withheld: &withheld{true, []string{"DE", "FR"}, "tweet"}, media: []string{b.photo(hills, "")}, text: "The anthem of Larkfield, sung by its choir on turbine 7."})
	b.post(draft{by: c.press, at: at("2025-02-18 08:00:00.120"), community: "1490000000000000001", text: "Posted in our Open Data community: the 2024 bat monitoring set, 1.1 million rows."})
	b.post(draft{by: c.press, at: at("2025-02-18 12:00:00.121"), card: "card://1840000000000000002", text: "Register for the annual meeting: https://www.contoso-energy.example/agm $CTSO"})

	deleted := NewID(at("2025-02-19 07:00:00.000"), 5)
	b.refuse(deleted, "referenced_tweets.id", false)
	b.post(draft{by: c.press, at: at("2025-02-19 08:00:00.122"), goneQuote: deleted, text: "This offer is not from us. Do not enter your meter number there."})
	protected := NewID(at("2025-02-19 10:00:00.000"), 6)
	b.refuse(protected, "referenced_tweets.id", true)
	b.post(draft{by: c.press, at: at("2025-02-19 12:00:00.123"), goneReply: protected, goneReplyTo: c.locked, text: "@quiet_street Understood, we've moved the van. Sorry about the early start."})

	// Media that the servers do not have any more, in whole or in part.
	b.post(draft{by: c.press, at: at("2025-02-20 08:00:00.124"), media: []string{b.lostPhoto()}, text: "Turbine 14, as seen from the road."})
	b.post(draft{by: c.press, at: at("2025-02-20 12:00:00.125"), media: []string{b.photo(offshore, "Still there"), b.lostPhoto()}, text: "Before and after."})
	b.post(draft{by: c.press, at: at("2025-02-21 08:00:00.126"), media: []string{b.video("Blade lift", false)}, text: "Lifting the last blade. Sound on."})
	b.post(draft{by: c.press, at: at("2025-02-21 12:00:00.127"), media: []string{b.video("Crew boat at the ladder", true), b.photo(offshore, ""), b.gif("Turbine, turning")}, text: "Film, photo and GIF in one post, because we can."})
	b.post(draft{by: c.press, at: at("2025-02-22 08:00:00.128"), media: []string{b.photo(night, "")}}) // nothing but a picture

	// Conversations with others.
	spotter := b.post(draft{by: c.gone, elsewhere: true, at: at("2025-02-24 06:30:00.100"), media: []string{b.photo(dusk, "Pylons")}, text: "Pylon 4YG 112, @ContosoEnergy's finest."})
	b.post(draft{by: c.press, at: at("2025-02-24 08:00:00.129"), reply: spotter, text: "@pylonspotter It blushes."})
	jp := b.post(draft{by: c.japan, elsewhere: true, lang: "ja", at: at("2025-02-24 10:00:00.100"), text: "英国コントソ社、洋上風力で過去最高の発電量を記録。担当者は「静かな夜がいちばん」と語る。詳細は記事をご覧ください。 https://www.fuuryoku.example/contoso #風力発電 @ContosoEnergy"})
	b.post(draft{by: c.press, at: at("2025-02-24 12:00:00.130"), retweet: jp})
	tomasz := b.post(draft{by: c.customer, elsewhere: true, at: at("2025-02-25 06:30:00.100"), text: "@ContosoEnergy why did the turbine go to therapy? Too much spinning <3"})
	b.post(draft{by: c.press, at: at("2025-02-25 08:00:00.131"), reply: tomasz, text: "@tomasz_w We're big fans. 🌬️"})
	b.post(draft{by: c.press, at: at("2025-02-25 08:00:00.131"), seq: 1, reply: tomasz, text: "@tomasz_w (Sorry. Not sorry.)"})
}
