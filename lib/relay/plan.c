#include "relay/plan.h"

#include "text/text.h"

enum { DOMAIN_MAX_BYTES = 255 };

static void answer(struct plan *p, uint32_t code, struct span enhanced, struct span text)
{
	p->kind = PLAN_ANSWER;
	p->code = code;
	p->enhanced = enhanced;
	p->text = text;
}

/* The domain of an address as A-labels; empty for <> and for what is none. */
static struct span domain_of(struct span address, struct arena *a)
{
	struct str ascii cleanup(str_clear) = STR_INIT(DOMAIN_MAX_BYTES);
	size_t at = span_last_index(address, '@');
	if (at == SIZE_MAX)
		return SPAN("");
	struct span domain = span_from(address, at + 1);
	if (domain.n && domain.p[0] == '[') /* an address literal */
		return arena_span(a, domain);
	return text_domain_ascii(domain, &ascii) ? SPAN("") : arena_span(a, str_span(&ascii));
}

static int route_lists(struct config *c, struct span account, struct span domain, struct arena *a,
    struct config_account *ret_account, struct config_domain *ret_domain,
    struct route_list *ret_global)
{
	*ret_account = (struct config_account){0};
	*ret_domain = (struct config_domain){0};
	*ret_global = (struct route_list){0};
	int error = config_account(c, account, a, ret_account);
	if (error == 0 || error == -ENOENT)
		error = domain.n ? config_domain(c, domain, a, ret_domain) : 0;
	if (error == 0 || error == -ENOENT)
		error = config_global_routes(c, a, ret_global);
	return error == -ENOENT ? 0 : error;
}

static int use_transport(struct config *c, struct span name, struct arena *a, struct plan *p)
{
	if (name.n == 0) {
		p->kind = PLAN_DIRECT;
		p->name = SPAN("direct");
		p->hop = arena_format(a, "direct:%.*s", SPAN_ARG(p->domain));
		return 0;
	}
	p->name = arena_span(a, name);
	int error = config_transport(c, name, a, &p->transport);
	if (error == -ENOENT) {
		answer(p, 451, SPAN("4.3.5"),
		    arena_format(a, "transport \"%.*s\" is not configured", SPAN_ARG(name)));
		return 0;
	}
	if (error)
		return error;
	switch (p->transport.kind) {
	case TRANSPORT_FAIL:
		answer(p, p->transport.fail_code,
		    p->transport.fail_code >= 500 ? SPAN("5.7.1") : SPAN("4.7.1"),
		    p->transport.fail_text);
		break;
	case TRANSPORT_DIRECT:
		p->kind = PLAN_DIRECT;
		p->hop = arena_format(a, "direct:%.*s", SPAN_ARG(p->domain));
		break;
	default:
		p->kind = PLAN_TRANSPORT;
		p->hop = arena_format(a, "transport:%.*s", SPAN_ARG(name));
	}
	return 0;
}

static int plan_remote(struct config *c, const struct queue_message *m,
    const struct queue_recipient *r, struct arena *a, struct plan *p)
{
	struct config_account account;
	struct config_domain from;
	struct route_list global;
	struct span from_domain = domain_of(m->sender, a);
	int error = route_lists(c, m->account, from_domain, a, &account, &from, &global);
	if (error)
		return error;
	if (account.local_only) {
		answer(
		    p, 550, SPAN("5.7.1"), SPAN("this account may send to local recipients only"));
		return 0;
	}
	if (p->domain.n == 0) {
		answer(p, 553, SPAN("5.1.3"), SPAN("the address has no valid domain"));
		return 0;
	}
	if (r->override_transport.n)
		return use_transport(c, r->override_transport, a, p);
	/* attempts already made: this one has been counted when the worker starts, not yet here */
	const struct route *route = route_choose(
	    &account.routes, &from.routes, &global, from_domain, p->domain, r->attempts);
	if (route)
		p->route = route->where;
	return use_transport(c, route ? route->transport : SPAN(""), a, p);
}

int plan_recipient(struct config *c, const struct queue_message *m, const struct queue_recipient *r,
    struct arena *a, struct plan *ret)
{
	struct plan p = {.domain = domain_of(r->address, a), .route = SPAN("")};
	struct span canonical;
	bool local = false;
	/* a notice goes to its account, though the address may have been taken from it meanwhile */
	int error =
	    m->is_notice ? config_account(c, m->account, a, &(struct config_account){0}) : -ENOENT;
	if (error == 0)
		p.account = m->account;
	else if (error == -ENOENT)
		error = config_find_address(c, r->address, a, &p.account, &canonical, &local);
	if (error == 0) {
		p.kind = PLAN_LOCAL;
		p.name = SPAN("local");
		p.hop = arena_format(a, "local:%.*s", SPAN_ARG(p.account));
		*ret = p;
		return 0;
	}
	if (error == -ENOENT && local) {
		struct config_domain domain;
		error = config_domain(c, p.domain, a, &domain);
		if (!error && !domain.deliver_route) {
			p.name = SPAN("local");
			answer(&p, 550, SPAN("5.1.1"), SPAN("there is no such address here"));
			*ret = p;
			return 0;
		}
	}
	if (error == 0 || error == -ENOENT || error == -EINVAL)
		error = plan_remote(c, m, r, a, &p);
	if (!error)
		*ret = p;
	return error;
}
