#include "submitd/policy.h"

#include "mime/address.h"
#include "mime/header.h"
#include "text/text.h"

enum { ADDRESS_TEXT_MAX_BYTES = 1024 };

static int refuse(struct smtp_status *ret, unsigned code, const char *enhanced, const char *text);
static int own_address(struct session *s, struct span address, struct arena *scratch,
    const char *text, struct smtp_status *ret_refusal);
static int postmaster(
    struct session *s, struct arena *scratch, struct span *ret, struct smtp_status *ret_refusal);
static int not_found_here(
    struct session *s, struct span domain, struct arena *scratch, struct smtp_status *ret_refusal);
static int author_field(
    struct session *s, struct span value, size_t most, struct smtp_status *ret_refusal);

static int refuse(struct smtp_status *ret, unsigned code, const char *enhanced, const char *text)
{
	*ret = (struct smtp_status){code, enhanced, text};
	return -EINVAL;
}

static int unavailable(struct smtp_status *ret)
{
	return refuse(ret, 451, "4.3.0", "The configuration cannot be read now");
}

int policy_sender(struct session *s, const struct smtp_path *sender, struct arena *scratch,
    struct smtp_status *ret_refusal)
{
	if (sender->address.n == 0)
		return 0;
	return own_address(s, sender->address, scratch,
	    "This sender's address is not one of your account's", ret_refusal);
}

static int own_address(struct session *s, struct span address, struct arena *scratch,
    const char *text, struct smtp_status *ret_refusal)
{
	struct span account, canonical;
	int error = config_find_address(s->config, address, scratch, &account, &canonical, NULL);
	if (error == 0 && span_equal(account, s->login.account))
		return 0;
	if (error == 0 || error == -ENOENT || error == -EINVAL)
		return refuse(ret_refusal, 550, "5.7.1", text);
	return unavailable(ret_refusal);
}

int policy_recipient(struct session *s, const struct smtp_path *recipient, struct arena *scratch,
    struct span *ret_address, struct smtp_status *ret_refusal)
{
	struct span account, canonical;
	bool local = false;
	int error = 0;
	if (recipient->domain.n == 0)
		return postmaster(s, scratch, ret_address, ret_refusal);
	if (recipient->domain.p[0] == '[') /* an address literal is no domain of ours */
		error = -ENOENT;
	else
		error = config_find_address(
		    s->config, recipient->address, scratch, &account, &canonical, &local);
	if (error == -EINVAL)
		return refuse(ret_refusal, 501, "5.1.3", "Bad syntax of the recipient's address");
	if (error < 0 && error != -ENOENT)
		return unavailable(ret_refusal);
	if (error == -ENOENT && local)
		error = not_found_here(s, recipient->domain, scratch, ret_refusal);
	else if (error == -ENOENT && s->account.local_only)
		return refuse(
		    ret_refusal, 550, "5.7.1", "This account may send to local addresses only");
	else
		error = 0;
	if (error == 0)
		*ret_address = recipient->address;
	return error;
}

/* RFC 5321 §4.5.1: <postmaster> without a domain is ours. */
static int postmaster(
    struct session *s, struct arena *scratch, struct span *ret, struct smtp_status *ret_refusal)
{
	struct config_account account = {0};
	int error = -ENOENT;
	if (s->global.postmaster.n)
		error = config_account(s->config, s->global.postmaster, scratch, &account);
	if (error == -ENOENT || (error == 0 && account.address_count == 0))
		return refuse(ret_refusal, 550, "5.1.1", "There is no postmaster here");
	if (error < 0)
		return unavailable(ret_refusal);
	*ret = account.addresses[0];
	return 0;
}

/* In a domain of ours, but nobody's: refused now, unless the domain is split. */
static int not_found_here(
    struct session *s, struct span domain, struct arena *scratch, struct smtp_status *ret_refusal)
{
	struct config_domain found;
	struct str name cleanup(str_clear) = STR_INIT(ADDRESS_TEXT_MAX_BYTES);
	int error = text_domain_ascii(domain, &name);
	if (error == 0)
		error = config_domain(s->config, str_span(&name), scratch, &found);
	if (error == 0 && found.deliver_route)
		return 0;
	if (error == 0 || error == -ENOENT || error == -EINVAL)
		return refuse(ret_refusal, 550, "5.1.1", "No such address here");
	return unavailable(ret_refusal);
}

int policy_header(struct session *s, struct span section, struct smtp_status *ret_refusal)
{
	struct header_field f;
	struct span rest = section;
	struct span from = SPAN_NONE, sender = SPAN_NONE;
	while (header_next(&rest, &f)) {
		struct span *slot = NULL;
		if (!span_is_set(f.name))
			return refuse(
			    ret_refusal, 550, "5.6.0", "A line of the header is no field");
		if (span_equal_nocase(f.name, SPAN("From")))
			slot = &from;
		else if (span_equal_nocase(f.name, SPAN("Sender")))
			slot = &sender;
		if (slot && span_is_set(*slot))
			return refuse(ret_refusal, 550, "5.7.1", "From or Sender is there twice");
		if (slot)
			*slot = f.value;
	}
	if (!span_is_set(from))
		return refuse(ret_refusal, 550, "5.7.1", "The header has no From");
	int error = author_field(s, from, SIZE_MAX, ret_refusal);
	if (error == 0 && span_is_set(sender))
		error = author_field(s, sender, 1, ret_refusal);
	return error;
}

/* RFC 5322 §3.6.2: at least one address, at most `most`, every one the account's. */
static int author_field(
    struct session *s, struct span value, size_t most, struct smtp_status *ret_refusal)
{
	struct arena scratch cleanup(arena_clear) = {0};
	struct address_list list = address_parse(value, &scratch);
	size_t mailboxes = address_count_mailboxes(&list);
	if (!list.complete || mailboxes == 0 || mailboxes > most)
		return refuse(ret_refusal, 550, "5.7.1", "Bad address list in From or Sender");
	for (size_t i = 0; i < list.count; i++) {
		struct str text cleanup(str_clear) = STR_INIT(ADDRESS_TEXT_MAX_BYTES);
		if (list.items[i].kind != ADDRESS_MAILBOX)
			continue;
		address_put(&text, &list.items[i]);
		if (str_error(&text) < 0)
			return refuse(ret_refusal, 550, "5.7.1", "Too long an address in From");
		int error = own_address(s, str_span(&text), &scratch,
		    "An address in From or Sender is not one of your account's", ret_refusal);
		if (error < 0)
			return error;
	}
	return 0;
}
