#include "imap/command.h"

#include <assert.h>

#include "base/ascii.h"
#include "base/date.h"
#include "imap/cursor.h"
#include "imap/reader.h"

enum uid_form { WITHOUT_UID, WITH_AND_WITHOUT_UID };
enum {
	ANY = IMAP_STATE_NOT_AUTHENTICATED | IMAP_STATE_AUTHENTICATED | IMAP_STATE_SELECTED,
	BEFORE = IMAP_STATE_NOT_AUTHENTICATED,
	AFTER = IMAP_STATE_AUTHENTICATED | IMAP_STATE_SELECTED,
	SELECTED = IMAP_STATE_SELECTED,
};

/* An argument parser starts behind "NAME", before the SP if there is one. */
typedef bool argument_parser(struct imap_cursor *c, struct imap_command *ret);
static argument_parser no_arguments, id, authenticate, login, enable, one_mailbox, create, rename_,
    list, lsub, status, append, expunge, search, fetch, store, copy;

static const struct {
	const char *name;
	unsigned states;
	enum uid_form uid;
	argument_parser *arguments;
	const char *usage; /* said when nothing more precise is known */
} commands[IMAP_COMMAND_COUNT] = {
    [IMAP_CAPABILITY] = {"CAPABILITY", ANY, WITHOUT_UID, no_arguments, "CAPABILITY is alone"},
    [IMAP_NOOP] = {"NOOP", ANY, WITHOUT_UID, no_arguments, "NOOP is alone"},
    [IMAP_LOGOUT] = {"LOGOUT", ANY, WITHOUT_UID, no_arguments, "LOGOUT is alone"},
    [IMAP_ID] = {"ID", ANY, WITHOUT_UID, id, "ID wants NIL or a list of pairs"},
    [IMAP_STARTTLS] = {"STARTTLS", BEFORE, WITHOUT_UID, no_arguments, "STARTTLS is alone"},
    [IMAP_AUTHENTICATE] = {"AUTHENTICATE", BEFORE, WITHOUT_UID, authenticate,
	"AUTHENTICATE wants a mechanism and at most one response in base64"},
    [IMAP_LOGIN] = {"LOGIN", BEFORE, WITHOUT_UID, login, "LOGIN wants a user and a password"},
    [IMAP_ENABLE] = {"ENABLE", AFTER, WITHOUT_UID, enable, "ENABLE wants capabilities"},
    [IMAP_SELECT] = {"SELECT", AFTER, WITHOUT_UID, one_mailbox, "SELECT wants a mailbox"},
    [IMAP_EXAMINE] = {"EXAMINE", AFTER, WITHOUT_UID, one_mailbox, "EXAMINE wants a mailbox"},
    [IMAP_CREATE] = {"CREATE", AFTER, WITHOUT_UID, create,
	"CREATE wants a mailbox and at most (USE (…))"},
    [IMAP_DELETE] = {"DELETE", AFTER, WITHOUT_UID, one_mailbox, "DELETE wants a mailbox"},
    [IMAP_RENAME] = {"RENAME", AFTER, WITHOUT_UID, rename_, "RENAME wants two mailboxes"},
    [IMAP_SUBSCRIBE] = {"SUBSCRIBE", AFTER, WITHOUT_UID, one_mailbox, "SUBSCRIBE wants a mailbox"},
    [IMAP_UNSUBSCRIBE] = {"UNSUBSCRIBE", AFTER, WITHOUT_UID, one_mailbox,
	"UNSUBSCRIBE wants a mailbox"},
    [IMAP_LIST] = {"LIST", AFTER, WITHOUT_UID, list,
	"LIST wants a reference and a pattern, and options in their places"},
    [IMAP_LSUB] = {"LSUB", AFTER, WITHOUT_UID, lsub, "LSUB wants a reference and a pattern"},
    [IMAP_NAMESPACE] = {"NAMESPACE", AFTER, WITHOUT_UID, no_arguments, "NAMESPACE is alone"},
    [IMAP_STATUS] = {"STATUS", AFTER, WITHOUT_UID, status,
	"STATUS wants a mailbox and a list of items"},
    [IMAP_APPEND] = {"APPEND", AFTER, WITHOUT_UID, append,
	"APPEND wants a mailbox, perhaps flags and a date, and a message as literal"},
    [IMAP_IDLE] = {"IDLE", AFTER, WITHOUT_UID, no_arguments, "IDLE is alone"},
    [IMAP_CHECK] = {"CHECK", SELECTED, WITHOUT_UID, no_arguments, "CHECK is alone"},
    [IMAP_CLOSE] = {"CLOSE", SELECTED, WITHOUT_UID, no_arguments, "CLOSE is alone"},
    [IMAP_UNSELECT] = {"UNSELECT", SELECTED, WITHOUT_UID, no_arguments, "UNSELECT is alone"},
    [IMAP_EXPUNGE] = {"EXPUNGE", SELECTED, WITH_AND_WITHOUT_UID, expunge,
	"EXPUNGE is alone, UID EXPUNGE wants a set of UIDs"},
    [IMAP_SEARCH] = {"SEARCH", SELECTED, WITH_AND_WITHOUT_UID, search, "SEARCH wants keys"},
    [IMAP_FETCH] = {"FETCH", SELECTED, WITH_AND_WITHOUT_UID, fetch, "FETCH wants a set and items"},
    [IMAP_STORE] = {"STORE", SELECTED, WITH_AND_WITHOUT_UID, store,
	"STORE wants a set, FLAGS, +FLAGS or -FLAGS, and flags"},
    [IMAP_COPY] = {"COPY", SELECTED, WITH_AND_WITHOUT_UID, copy, "COPY wants a set and a mailbox"},
    [IMAP_MOVE] = {"MOVE", SELECTED, WITH_AND_WITHOUT_UID, copy, "MOVE wants a set and a mailbox"},
};

static bool tag(struct imap_cursor *c, struct span *ret);
static bool find_command(struct span name, enum imap_command_kind *ret);
static bool list_options(struct imap_cursor *c, const char *where, unsigned *ret);
static bool patterns(struct imap_cursor *c, struct imap_command *ret);
static bool pattern(struct imap_cursor *c, struct span_list *list);
static bool append_literal(struct imap_cursor *c, struct imap_command *ret);
static bool special_uses(struct imap_cursor *c, unsigned *ret);

int imap_command_parse(struct span text, enum imap_text mode, struct arena *a,
    struct imap_command *ret, const char **ret_error)
{
	struct imap_cursor c = {.rest = text, .arena = a, .mode = mode};
	struct imap_command command = {0};
	struct span name;
	if (!tag(&c, &command.tag)) {
		*ret_error = "A command begins with a tag";
		return -EINVAL;
	}
	if (!cursor_sp(&c) || !cursor_atom(&c, &name)) {
		*ret_error = "A command's name is missing";
		return -EINVAL;
	}
	if (span_equal_nocase(name, SPAN("UID"))) {
		command.uid = true;
		if (!cursor_sp(&c) || !cursor_atom(&c, &name)) {
			*ret_error = "UID wants a command";
			return -EINVAL;
		}
	}
	if (!find_command(name, &command.kind) ||
	    (command.uid && commands[command.kind].uid == WITHOUT_UID)) {
		*ret_error = "There is no such command";
		return -ENOSYS;
	}
	if (!commands[command.kind].arguments(&c, &command) || c.error || !cursor_end(&c)) {
		*ret_error = c.error ? c.error : commands[command.kind].usage;
		return c.error ? c.code : -EINVAL;
	}
	*ret = command;
	return 0;
}

struct span imap_command_tag(struct span text)
{
	struct imap_cursor c = {.rest = text};
	struct span found;
	return tag(&c, &found) && (cursor_end(&c) || cursor_sees(&c, ' ')) ? found : SPAN_NONE;
}

/* 1*<any ASTRING-CHAR except "+"> */
static bool tag(struct imap_cursor *c, struct span *ret)
{
	size_t n = 0;
	while (n < c->rest.n) {
		unsigned char b = (unsigned char)c->rest.p[n];
		if (!ascii_is_vchar(b) || strchr("(){%*\"\\+", b))
			break;
		n++;
	}
	if (n == 0 || n > IMAP_TAG_BYTES_MAX)
		return false;
	*ret = span_sub(c->rest, 0, n);
	c->rest = span_from(c->rest, n);
	return true;
}

static bool find_command(struct span name, enum imap_command_kind *ret)
{
	for (unsigned i = 0; i < IMAP_COMMAND_COUNT; i++)
		if (span_equal_nocase(name, span_cstr(commands[i].name))) {
			*ret = (enum imap_command_kind)i;
			return true;
		}
	return false;
}

const char *imap_command_name(enum imap_command_kind kind)
{
	assert(kind < IMAP_COMMAND_COUNT);
	return commands[kind].name;
}

unsigned imap_command_states(enum imap_command_kind kind)
{
	assert(kind < IMAP_COMMAND_COUNT);
	return commands[kind].states;
}

static bool no_arguments(struct imap_cursor *c, struct imap_command *ret)
{
	(void)ret;
	return cursor_end(c);
}

/* RFC 2971 §3.1: id ::= "ID" SPACE id_params_list */
static bool id(struct imap_cursor *c, struct imap_command *ret)
{
	struct span_list list = {0};
	if (!cursor_sp(c))
		return false;
	if (cursor_word(c, "NIL"))
		return true;
	if (!cursor_char(c, '('))
		return false;
	if (cursor_char(c, ')'))
		return true;
	do {
		struct span name, value;
		if (!cursor_string(c, &name) || !cursor_sp(c) || !cursor_nstring(c, &value) ||
		    !span_list_add(c, &list, name) || !span_list_add(c, &list, value))
			return false;
	} while (cursor_sp(c));
	struct imap_id_pair *pairs = ARENA_ARRAY(c->arena, struct imap_id_pair, list.count / 2);
	for (size_t i = 0; i < list.count / 2; i++)
		pairs[i] = (struct imap_id_pair){list.items[2 * i], list.items[2 * i + 1]};
	ret->id.pairs = pairs;
	ret->id.count = list.count / 2;
	return cursor_char(c, ')');
}

/* RFC 9051 §9: authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp] */
static bool authenticate(struct imap_cursor *c, struct imap_command *ret)
{
	if (!cursor_sp(c) || !cursor_atom(c, &ret->authenticate.mechanism))
		return false;
	if (cursor_end(c))
		return true;
	if (!cursor_sp(c))
		return false;
	struct span response = span_trim(c->rest);
	for (size_t i = 0; i < response.n; i++) {
		unsigned char b = (unsigned char)response.p[i];
		if (!ascii_is_alnum(b) && b != '+' && b != '/' && b != '=')
			return false;
	}
	ret->authenticate.initial = span_equal(response, SPAN("=")) ? SPAN("") : response;
	c->rest = span_from(c->rest, c->rest.n);
	return true;
}

static bool login(struct imap_cursor *c, struct imap_command *ret)
{
	return cursor_sp(c) && cursor_astring(c, &ret->login.user) && cursor_sp(c) &&
	       cursor_astring(c, &ret->login.password);
}

static bool enable(struct imap_cursor *c, struct imap_command *ret)
{
	struct span_list list = {0};
	while (!cursor_end(c)) {
		struct span atom;
		if (!cursor_sp(c) || !cursor_atom(c, &atom) || !span_list_add(c, &list, atom))
			return false;
	}
	ret->enable.capabilities = list.items;
	ret->enable.count = list.count;
	return list.count > 0;
}

static bool one_mailbox(struct imap_cursor *c, struct imap_command *ret)
{
	return cursor_sp(c) && cursor_mailbox(c, &ret->mailbox.name);
}

/* RFC 6154 §6: create =/ "CREATE" SP mailbox [SP "(" "USE" SP "(" … ")" ")"] */
static bool create(struct imap_cursor *c, struct imap_command *ret)
{
	if (!cursor_sp(c) || !cursor_mailbox(c, &ret->create.name))
		return false;
	struct span *name = &ret->create.name;
	if (span_ends_with(*name, SPAN("/")))
		*name = span_sub(*name, 0, name->n - 1);
	if (cursor_end(c))
		return true;
	return cursor_sp(c) && cursor_char(c, '(') && cursor_word(c, "USE") && cursor_sp(c) &&
	       special_uses(c, &ret->create.uses) && cursor_char(c, ')');
}

static bool special_uses(struct imap_cursor *c, unsigned *ret)
{
	if (!cursor_char(c, '('))
		return false;
	if (cursor_char(c, ')'))
		return true;
	do {
		struct span atom;
		unsigned use = IMAP_USE_NONE + 1;
		if (!cursor_char(c, '\\') || !cursor_atom(c, &atom))
			return false;
		while (use < IMAP_USE_COUNT &&
		       !span_equal_nocase(atom, span_cstr(imap_special_use_name(use) + 1)))
			use++;
		*ret |= 1u << (use < IMAP_USE_COUNT ? use : IMAP_USE_NONE);
	} while (cursor_sp(c));
	return cursor_char(c, ')');
}

const char *imap_special_use_name(enum imap_special_use use)
{
	static const char *const names[IMAP_USE_COUNT] = {"", "\\All", "\\Archive", "\\Drafts",
	    "\\Flagged", "\\Junk", "\\Sent", "\\Trash", "\\Important"};
	assert(use < IMAP_USE_COUNT);
	return names[use];
}

static bool rename_(struct imap_cursor *c, struct imap_command *ret)
{
	return cursor_sp(c) && cursor_mailbox(c, &ret->rename.from) && cursor_sp(c) &&
	       cursor_mailbox(c, &ret->rename.to);
}

/*
 * RFC 5258 §6: list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
 */
static bool list(struct imap_cursor *c, struct imap_command *ret)
{
	if (!cursor_sp(c))
		return false;
	if (cursor_sees(c, '(')) {
		ret->list.extended = true;
		if (!list_options(c, "SELECT", &ret->list.selection) || !cursor_sp(c))
			return false;
		unsigned base =
		    ret->list.selection & (IMAP_LIST_SUBSCRIBED | IMAP_LIST_SPECIAL_USE);
		if (ret->list.selection & IMAP_LIST_RECURSIVE_MATCH && !base)
			return cursor_fail(c, -EINVAL, "LIST: RECURSIVEMATCH wants another option");
	}
	if (!cursor_mailbox(c, &ret->list.reference) || !cursor_sp(c) || !patterns(c, ret))
		return false;
	if (cursor_end(c))
		return true;
	ret->list.extended = true;
	return cursor_sp(c) && cursor_word(c, "RETURN") && cursor_sp(c) &&
	       list_options(c, "RETURN", &ret->list.returned);
}

static bool list_options(struct imap_cursor *c, const char *where, unsigned *ret)
{
	static const struct {
		const char *where, *name;
		unsigned option;
	} table[] = {
	    {"SELECT", "SUBSCRIBED", IMAP_LIST_SUBSCRIBED},
	    {"SELECT", "REMOTE", IMAP_LIST_REMOTE},
	    {"SELECT", "RECURSIVEMATCH", IMAP_LIST_RECURSIVE_MATCH},
	    {"SELECT", "SPECIAL-USE", IMAP_LIST_SPECIAL_USE},
	    {"RETURN", "SUBSCRIBED", IMAP_LIST_SUBSCRIBED},
	    {"RETURN", "CHILDREN", IMAP_LIST_CHILDREN},
	    {"RETURN", "SPECIAL-USE", IMAP_LIST_SPECIAL_USE},
	};
	if (!cursor_char(c, '('))
		return false;
	if (cursor_char(c, ')'))
		return true;
	do {
		struct span name;
		size_t i = 0;
		if (!cursor_atom(c, &name))
			return false;
		while (i < ARRAY_SIZE(table) &&
		       (strcmp(table[i].where, where) != 0 ||
			   !span_equal_nocase(name, span_cstr(table[i].name))))
			i++;
		if (i == ARRAY_SIZE(table))
			return cursor_fail(c, -EINVAL, "LIST: there is no such option");
		*ret |= table[i].option;
	} while (cursor_sp(c));
	return cursor_char(c, ')');
}

/* mbox-or-pat = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")" */
static bool patterns(struct imap_cursor *c, struct imap_command *ret)
{
	struct span_list found = {0};
	if (cursor_char(c, '(')) {
		ret->list.extended = true;
		do {
			if (!pattern(c, &found))
				return false;
		} while (cursor_sp(c));
		if (!cursor_char(c, ')'))
			return false;
	} else if (!pattern(c, &found)) {
		return false;
	}
	ret->list.patterns = found.items;
	ret->list.pattern_count = found.count;
	return true;
}

static bool pattern(struct imap_cursor *c, struct span_list *found)
{
	struct span wire, name;
	if (!cursor_pattern(c, &wire))
		return false;
	int error = imap_mailbox_decode(wire, c->mode, c->arena, &name);
	if (error == -ENAMETOOLONG)
		return cursor_fail(c, -E2BIG, "LIST: a pattern is too long");
	if (error) /* no mailbox can be called like that: nothing matches it */
		return true;
	return span_list_add(c, found, name);
}

static bool lsub(struct imap_cursor *c, struct imap_command *ret)
{
	struct span_list found = {0};
	if (!cursor_sp(c) || !cursor_mailbox(c, &ret->list.reference) || !cursor_sp(c) ||
	    !pattern(c, &found))
		return false;
	ret->list.patterns = found.items;
	ret->list.pattern_count = found.count;
	return true;
}

static bool status(struct imap_cursor *c, struct imap_command *ret)
{
	static const struct {
		const char *name;
		unsigned item;
	} table[] = {
	    {"MESSAGES", IMAP_STATUS_MESSAGES},
	    {"RECENT", IMAP_STATUS_RECENT},
	    {"UIDNEXT", IMAP_STATUS_UIDNEXT},
	    {"UIDVALIDITY", IMAP_STATUS_UIDVALIDITY},
	    {"UNSEEN", IMAP_STATUS_UNSEEN},
	};
	if (!cursor_sp(c) || !cursor_mailbox(c, &ret->status.name) || !cursor_sp(c) ||
	    !cursor_char(c, '('))
		return false;
	do {
		struct span name;
		size_t i = 0;
		if (!cursor_atom(c, &name))
			return false;
		while (i < ARRAY_SIZE(table) && !span_equal_nocase(name, span_cstr(table[i].name)))
			i++;
		if (i == ARRAY_SIZE(table))
			return cursor_fail(c, -EINVAL, "STATUS: there is no such item");
		ret->status.items |= table[i].item;
	} while (cursor_sp(c));
	return cursor_char(c, ')');
}

/* append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal; RFC 6855 §4 */
static bool append(struct imap_cursor *c, struct imap_command *ret)
{
	if (!cursor_sp(c) || !cursor_mailbox(c, &ret->append.name) || !cursor_sp(c))
		return false;
	if (cursor_sees(c, '(') && (!cursor_flag_list(c, &ret->append.flags) || !cursor_sp(c)))
		return false;
	if (cursor_sees(c, '"')) {
		struct span date;
		if (!cursor_string(c, &date) ||
		    date_parse_imap(date, &ret->append.date_s, &ret->append.zone_minutes) != 0 ||
		    !cursor_sp(c))
			return cursor_fail(c, -EINVAL, "APPEND: the date is malformed");
		ret->append.has_date = true;
	}
	if (cursor_word(c, "UTF8")) {
		ret->append.utf8 = true;
		if (!cursor_sp(c) || !cursor_char(c, '('))
			return false;
	}
	return append_literal(c, ret);
}

/* The head of the message's literal, which ends the text: imap/reader.h stops there. */
static bool append_literal(struct imap_cursor *c, struct imap_command *ret)
{
	struct imap_literal head;
	struct span rest = c->rest;
	bool binary = cursor_sees(c, '~');
	if (!span_ends_with(rest, SPAN("\r\n")) ||
	    !span_starts_with(span_from(rest, binary), SPAN("{")) ||
	    span_index(rest, '}') != rest.n - 3 ||
	    !imap_literal_marker(span_sub(rest, 0, rest.n - 2), &head))
		return false;
	if (ret->append.utf8 && !binary)
		return cursor_fail(c, -EINVAL, "APPEND: UTF8 wants a literal8");
	ret->append.bytes = head.bytes;
	ret->append.binary = head.binary;
	c->rest = span_from(rest, rest.n);
	return true;
}

int imap_append_rest(struct span text, bool utf8)
{
	struct imap_cursor c = {.rest = text};
	if (utf8 && !cursor_char(&c, ')'))
		return -EINVAL;
	return cursor_end(&c) ? 0 : -EINVAL;
}

static bool expunge(struct imap_cursor *c, struct imap_command *ret)
{
	return !ret->uid || (cursor_sp(c) && cursor_seqset(c, &ret->expunge.set));
}

static bool search(struct imap_cursor *c, struct imap_command *ret)
{
	return cursor_sp(c) && imap_parse_search(c, &ret->search.charset, &ret->search.key);
}

static bool fetch(struct imap_cursor *c, struct imap_command *ret)
{
	return cursor_sp(c) && cursor_seqset(c, &ret->fetch.set) && cursor_sp(c) &&
	       imap_parse_fetch_items(c, &ret->fetch.items, &ret->fetch.item_count);
}

/* store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag))) */
static bool store(struct imap_cursor *c, struct imap_command *ret)
{
	struct span name;
	if (!cursor_sp(c) || !cursor_seqset(c, &ret->store.set) || !cursor_sp(c))
		return false;
	if (cursor_char(c, '+'))
		ret->store.mode = IMAP_STORE_ADD;
	else if (cursor_char(c, '-'))
		ret->store.mode = IMAP_STORE_REMOVE;
	if (!cursor_name(c, &name))
		return false;
	ret->store.silent = span_equal_nocase(name, SPAN("FLAGS.SILENT"));
	if ((!ret->store.silent && !span_equal_nocase(name, SPAN("FLAGS"))) || !cursor_sp(c))
		return false;
	return cursor_sees(c, '(') ? cursor_flag_list(c, &ret->store.flags)
				   : cursor_flags_bare(c, &ret->store.flags);
}

static bool copy(struct imap_cursor *c, struct imap_command *ret)
{
	return cursor_sp(c) && cursor_seqset(c, &ret->copy.set) && cursor_sp(c) &&
	       cursor_mailbox(c, &ret->copy.name);
}
