module github.com/stead-dev/stead/ci/tools/testreport

go 1.26.0
