package gateway_test

import "os"

// many10k is for a machine with 65,536 descriptors for one process, and some
// seconds: STEAD_MANY=1.
var many10k = os.Getenv("STEAD_MANY") != ""
