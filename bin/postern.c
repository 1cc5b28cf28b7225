/* postern: the administrator's program. See postern(1). */
#include "admin/admin.h"

int main(int argc, char **argv)
{
	return admin_main(argc, argv);
}
