// The OpenID provider of package openid: npm's oidc-provider (certified by the OpenID
// Foundation), for one tenant and one app, with claims as Microsoft Entra's. It speaks HTTP
// on loopback, behind the package's TLS. What it is told is in the environment variable
// OPENID; it says where it listens, and ends when its standard input does.
import http from "node:http";
import Provider, { interactionPolicy } from "oidc-provider";

const told = JSON.parse(process.env.OPENID);
const people = new Map((told.people ?? []).map((p) => [p.user, p]));

const policy = interactionPolicy.base();
policy.remove("consent"); // an administrator gave it
policy.add(new interactionPolicy.Prompt({ name: "select_account", requestable: true }), 0);

const provider = new Provider(told.origin + told.path, {
  clients: [{
    client_id: told.clientId, client_secret: told.clientSecret, redirect_uris: told.redirectUris,
    token_endpoint_auth_method: "client_secret_post", grant_types: ["authorization_code"], response_types: ["code"],
  }],
  jwks: { keys: [told.key] },
  cookies: { keys: ["of a test"] },
  pkce: { required: () => true },
  conformIdTokenClaims: false,
  claims: { openid: ["sub", "oid", "tid", "roles"], profile: ["name", "preferred_username"] },
  findAccount: (ctx, user) => people.has(user) && {
    accountId: user,
    claims: () => {
      const p = people.get(user);
      return { sub: user, oid: p.objectId, tid: told.tenant, name: p.name, preferred_username: p.user, ...(p.roles && { roles: p.roles }) };
    },
  },
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope("openid profile");
    await grant.save();
    return grant;
  },
  features: { devInteractions: { enabled: false } },
  interactions: { policy, url: (ctx, interaction) => `${told.path}/interaction/${interaction.uid}` },
  ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 600, Session: 3600 },
});
provider.proxy = true; // TLS ends before it

const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// interaction is the page on which a person says who it is.
async function interaction(req, res) {
  await provider.interactionDetails(req, res); // or it is nobody's
  if (req.method !== "POST") {
    const buttons = [...people.keys()].map((user) => `<p><button name="user" value="${escape(user)}">${escape(user)}</button></p>`).join("");
    res.setHeader("Content-Type", "text/html; charset=utf-8");
    res.end(`<!doctype html><html lang="en"><title>Pick an account</title><h1>Pick an account</h1><form method="post">${buttons}<p><button name="user" value="">Cancel</button></p></form>`);
    return;
  }
  let body = "";
  for await (const part of req) body += part;
  const user = new URLSearchParams(body).get("user");
  await provider.interactionFinished(req, res, user
    ? { login: { accountId: user }, select_account: {} }
    : { error: "access_denied", error_description: "AADSTS65004: User declined to consent to access the app." });
}

const answer = provider.callback();
const server = http.createServer((req, res) => {
  if (!req.url.startsWith(told.path + "/")) {
    res.statusCode = 404;
    res.end();
  } else if (req.url.startsWith(told.path + "/interaction/")) {
    interaction(req, res).catch((err) => {
      res.statusCode = 400;
      res.end(String(err));
    });
  } else {
    req.originalUrl = req.url;
    req.url = req.url.slice(told.path.length);
    answer(req, res);
  }
});
server.listen(0, "127.0.0.1", () => console.log(`listens on 127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit()).resume();
