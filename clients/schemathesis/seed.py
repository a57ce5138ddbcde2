"""What has to exist so that random requests get beyond 404: one of each thing that a path can name.

Things to keep and things to spend are told apart: what deletes, suspends or limits gets one of the latter, since a run
whose caller has lost his organization in the first minute tests nothing afterwards.
"""

PASSWORD = "correct horse battery"
# Of each: how many are spent.
SPENT = 12


def sign_up(server, name):
    """The session of a new user."""
    body = {"email": f"{name}@example.com", "password": PASSWORD}
    return server.must("POST", "/auth/v1/signup", server.state["anon_key"], body)


class Seed:
    """Ids and names by the parameter of the path that they fit."""

    def __init__(self, server):
        self.server, self.key = server, server.state["service_role_key"]
        self.keep, self.spend = {}, {}
        self.owner, self.operator = sign_up(server, "owner"), sign_up(server, "operator")
        server.run(
            "admin", "grant", "operator@example.com", "--role", "super_admin", "--minutes", "1440",
            "--reason", "schemathesis", "--dir", str(server.folder),
        )  # fmt: skip
        self.users()
        self.tree()
        self.products()
        self.of_tenants()
        self.of_organizations()
        self.of_the_installation()

    def token(self, caller):
        sessions = {"owner": self.owner, "operator": self.operator}
        return self.key if caller == "service_key" else sessions[caller]["access_token"]

    def pools(self):
        return {"keep": self.keep, "spend": self.spend}

    def admin(self, method, path, body=None):
        return self.server.must(method, f"/admin/v1{path}", self.key, body)

    def add(self, name, kept, spent=()):
        self.keep.setdefault(name, []).extend(kept)
        self.spend.setdefault(name, []).extend(spent or kept)

    def users(self):
        spent = [sign_up(self.server, f"user{number}")["user"]["id"] for number in range(SPENT)]
        self.add("user", [spent.pop() for _ in range(4)], spent)

    def tree(self):
        """Organizations and tenants of the owner, with members."""
        owner, users = self.owner["user"]["id"], self.keep["user"] + self.spend["user"]
        made = []
        for number in range(SPENT):
            body = {"name": f"Organization {number}", "slug": f"organization-{number}", "owner": owner}
            organization = self.admin("POST", "/organizations", body)["id"]
            path = f"/organizations/{organization}"
            tenants = [self.admin("POST", f"{path}/tenants", {"name": f"Tenant {n}"})["id"] for n in range(2)]
            for user in users:
                self.admin("POST", f"{path}/members", {"user_id": user, "role": "member"})
            for tenant in tenants:
                self.admin("POST", f"/tenants/{tenant}/members", {"user_id": users[0], "role": "member"})
                self.admin("POST", f"/tenants/{tenant}/members", {"user_id": users[-1], "role": "member"})
            made.append((organization, tenants))
        self.add("organization", [made[0][0]], [organization for organization, _ in made[2:]])
        # The second one's tenants end one by one, while their organization stays.
        self.add("tenant", [made[0][1][0]], [made[0][1][1], *made[1][1], *(tenants[0] for _, tenants in made[2:])])

    def products(self):
        names = [f"product-{number}" for number in range(SPENT)]
        for name in names:
            self.admin("POST", "/products", {"slug": name, "name": name, "scopes": ["openid"]})
        for tenant in self.keep["tenant"]:
            for name in names[:2]:
                self.admin("PUT", f"/tenants/{tenant}/products/{name}/production")
                self.admin("PUT", f"/tenants/{tenant}/entitlements/{name}/all", {"role": "MEMBER"})
        self.add("product", names[:2], names[2:])
        self.add("environment", ["production", "staging", "development"])

    def of_tenants(self):
        for tenant in self.keep["tenant"]:
            for name in ("mail.sender", "limits.rows"):
                self.admin("PUT", f"/tenants/{tenant}/settings/{name}", {"kind": "text", "value": "x"})
            path = f"/tenants/{tenant}/domains"
            proofs = ("dns_txt", "dns_cname", "http_file", "mail")
            for number, proof in enumerate(proofs):
                status, made = self.server.ask("POST", f"/admin/v1{path}", self.key, {"name": f"shop{number}.example", "proof": proof})
                if status == 201:
                    self.add("domain", [made["id"]])
        self.add("setting", ["mail.sender", "limits.rows"])
        for name in ("basic", "gold", "spent"):
            self.admin("PUT", f"/plans/{name}", {"title": name.title()})
        self.add("plan", ["basic", "gold"], ["spent"])

    def of_organizations(self):
        for organization in self.keep["organization"]:
            path = f"/organizations/{organization}"
            for name in ("clerk", "auditors", "spent"):
                self.admin("POST", f"{path}/roles", {"name": name, "permissions": ["tenant:view"]})
            for number in range(4):
                key = {"name": f"key {number}", "scopes": ["tenant:view"]}
                self.add("api_key", [self.admin("POST", f"{path}/api-keys", key)["id"]])
                invited = {"email": f"guest{number}@example.com", "role": "member"}
                self.add("invitation", [self.admin("POST", f"{path}/invitations", invited)["id"]])
            claimed = {"name": "people.example", "proof": "dns_txt"}
            self.add("organization_domain", [self.admin("POST", f"{path}/domains", claimed)["id"]])
        self.add("role", ["clerk", "owner", "auditors"], ["spent"])

    def of_the_installation(self):
        for name in ("checkout", "search", "spent"):
            self.admin("POST", "/flags", {"name": name, "kind": "boolean", "owner": "ann"})
        self.add("flag", ["checkout", "search"], ["spent"])
        self.add("subject", [f"user:{user}" for user in self.keep["user"]])
        for action in ("suspend", "activate", "export"):
            body = {"action": action, "users": self.spend["user"], "reason": "trial", "dry_run": True}
            self.add("bulk_job", [self.admin("POST", "/bulk-jobs", body)["id"]])
        kinds = [self.admin("POST", "/jobs", {"kind": "audit.prune"})["id"] for _ in range(4)]
        self.add("job", [*kinds, 1])
