#include <zmq.h>

// Set by libzmq 4.3 in every build; its header shows it among the drafts alone.
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif
