//go:build linux

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// authority issues what the components know each other by. A cluster lives for
// hours, and its certificates for a month.
type authority struct {
	c      *cluster
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	serial int64
}

// nodeName is the only node's.
const nodeName = "node1"

// writeCertificates makes all keys, certificates and kubeconfigs.
func (c *cluster) writeCertificates() error {
	if err := os.MkdirAll(c.path("certs"), 0o700); err != nil {
		return err
	}
	a, err := newAuthority(c)
	if err != nil {
		return err
	}
	addresses := []string{"127.0.0.1", c.firstService()}
	if c.node != nil {
		addresses = append(addresses, c.Address)
	}
	api := serving(a.template("kube-apiserver"), addresses, "localhost", "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
	kubelet := serving(a.template("system:node:"+nodeName), addresses, nodeName)
	for name, t := range map[string]*x509.Certificate{
		"apiserver":                api,
		"kubelet-serving":          kubelet,
		"apiserver-kubelet-client": a.template("kube-apiserver-kubelet-client", "system:masters"),
		"front-proxy-client":       a.template("front-proxy-client"),
	} {
		if err := a.issue(name, t); err != nil {
			return fmt.Errorf("certificate %s: %w", name, err)
		}
	}
	for name, t := range map[string]*x509.Certificate{
		"admin":              a.template("stead-admin", "system:masters"),
		"controller-manager": a.template("system:kube-controller-manager"),
		"scheduler":          a.template("system:kube-scheduler"),
		"kube-proxy":         a.template("system:kube-proxy"),
		"kubelet":            a.template("system:node:"+nodeName, "system:nodes"),
		"dns":                a.template("stead-dns", "system:masters"),
	} {
		if err := a.kubeconfig(name, t); err != nil {
			return fmt.Errorf("kubeconfig %s: %w", name, err)
		}
	}
	return c.writeServiceAccountKey()
}

// writeServiceAccountKey: RSA, since tokens of clusters are signed so by default.
func (c *cluster) writeServiceAccountKey() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := c.writePEM("sa.pub", "PUBLIC KEY", public); err != nil {
		return err
	}
	return c.writePEM("sa.key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func newAuthority(c *cluster) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{c: c, key: key}
	t := a.template("stead-ca")
	t.IsCA, t.BasicConstraintsValid = true, true
	t.KeyUsage |= x509.KeyUsageCertSign
	t.ExtKeyUsage = nil
	a.cert = t // signs itself
	der, err := a.write("ca", t, key, key)
	if err != nil {
		return nil, err
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

// template is a client's certificate.
func (a *authority) template(name string, groups ...string) *x509.Certificate {
	a.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.serial),
		Subject:      pkix.Name{CommonName: name, Organization: groups},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func serving(t *x509.Certificate, addresses []string, names ...string) *x509.Certificate {
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.DNSNames = names
	for _, a := range addresses {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(a))
	}
	return t
}

func (a *authority) issue(name string, t *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	_, err = a.write(name, t, key, a.key)
	return err
}

func (a *authority) write(name string, t *x509.Certificate, key *ecdsa.PrivateKey, signer crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := a.c.writePEM(name+".crt", "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return der, a.c.writePEM(name+".key", "EC PRIVATE KEY", private)
}

func (a *authority) kubeconfig(name string, t *x509.Certificate) error {
	if err := a.issue(name, t); err != nil {
		return err
	}
	var encoded [3]string
	for i, file := range []string{"ca.crt", name + ".crt", name + ".key"} {
		text, err := os.ReadFile(a.c.certificate(file))
		if err != nil {
			return err
		}
		encoded[i] = base64.StdEncoding.EncodeToString(text)
	}
	context := "stead-clustertest-" + a.c.Name
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: %[1]s
clusters: [{name: %[1]s, cluster: {server: %[2]q, certificate-authority-data: %[3]s}}]
users: [{name: %[4]s, user: {client-certificate-data: %[5]s, client-key-data: %[6]s}}]
contexts: [{name: %[1]s, context: {cluster: %[1]s, user: %[4]s}}]
`, context, a.c.Server, encoded[0], name, encoded[1], encoded[2])
	path := a.c.certificate(name + ".kubeconfig")
	if name == "admin" {
		path = a.c.Kubeconfig
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

func (c *cluster) writePEM(name, kind string, der []byte) error {
	return os.WriteFile(c.certificate(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
