#ifndef POSTERN_ACCOUNT_CREDENTIALS_DB_H
#define POSTERN_ACCOUNT_CREDENTIALS_DB_H
/* The open credentials.tdb, for credentials.c and tls_key.c alone. */
#include "account/credentials.h"
#include "db/db.h"

enum { CREDENTIALS_RECORD_MAX_BYTES = 65536 };

struct credentials {
	struct db *db;
};
#endif
